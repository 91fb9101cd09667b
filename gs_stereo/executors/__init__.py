"""Where units of work run. An executor knows no stage."""
