"""The parts of the dashboard, one small file each."""
