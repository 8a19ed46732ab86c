"""Controllers: objects owned by the application, each with a narrow view of the service."""
