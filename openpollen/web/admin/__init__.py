"""The pages of who runs the installation: one module a page."""
