"""The command line: one module a command, an error boundary in app.py."""
