"""What commands show, as values: rows of tables, and the forms that programs read as JSON.

It prints nothing and knows no terminal, so that whatever shows a fleet may share it.
"""
