"""Pictures and pages of what others computed."""
