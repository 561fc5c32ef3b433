"""What is asked of the model: one file a task, and the line that runs them."""
