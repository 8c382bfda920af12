"""What every room of Webmail Messenger stands on. Knows no milter, no web, no PDF."""
