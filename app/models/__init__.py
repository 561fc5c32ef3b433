"""What is known of models before any is asked: names, sizes, arithmetic."""
