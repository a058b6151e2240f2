"""The engine for OCI: databases are those of "OCI Database with PostgreSQL".

The SDK is an extra (`pip install 'pgherd[oci]'`) and is imported only when a call is made.
"""
