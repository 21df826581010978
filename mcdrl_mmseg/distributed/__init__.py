"""What training on several processes moves and costs."""
