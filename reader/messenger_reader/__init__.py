"""The web reader: sign up, log in, read. Knows no tunnel keys and no milter."""
