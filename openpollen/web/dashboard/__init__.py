"""The pages of a signed-in person: one module a page, all over the same services."""
