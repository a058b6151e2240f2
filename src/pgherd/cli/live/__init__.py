"""The living screen of `pgherd top`: what it looks at, draws, and does with keys.

What the rows say is in `report/top*.py`. Only `app` and `screens` import Textual.
"""
