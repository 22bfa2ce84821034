"""The vocabulary every layer speaks. Imports nothing of ours."""
