"""The dashboard: it draws snapshots and sends commands; it knows no transport, file format or store."""
