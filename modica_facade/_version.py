"""The version of the package, and how it introduces itself to a server."""

__version__ = "0.1.0"
USER_AGENT = f"modica-facade/{__version__}"
