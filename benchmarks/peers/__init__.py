"""What people use instead of Golub to take a webhook, as they usually write it. `install` puts it into a folder."""
