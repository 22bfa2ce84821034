"""A world of pretended providers for trying and testing everything offline: seeded, deterministic, and it bills.

Each module named like a wire answers as the hosts of that wire do; the server finds it by that name. What it makes is real:
pictures, films and sound that can be opened. Nothing here is for production, and every answer says so (``x-pretended``).
"""
