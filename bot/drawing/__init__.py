"""A project as pictures: its flows, rules and stories."""
