"""Intake: takes tunnel mail from Postfix and puts it into Maildirs. Knows no accounts and no web."""
