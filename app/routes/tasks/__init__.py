"""The native protocol: one endpoint a task."""
