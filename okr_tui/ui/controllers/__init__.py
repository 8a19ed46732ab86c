"""What the application does: objects that it owns, each with a narrow view of the service."""
