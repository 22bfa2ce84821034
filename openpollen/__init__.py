"""OpenPollen: one self-hosted API for text, images, video and audio, with accounts, keys and prepaid credit."""

__version__ = "0.1.0"
