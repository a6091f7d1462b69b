"""What a project may use: requests a minute, jobs, stored bytes."""
