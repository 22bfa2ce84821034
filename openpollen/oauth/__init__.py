"""Bring Your Own Pollen: who may send people to the consent page, what they granted, and how a grant becomes a key."""
