"""Ways to other systems that operators share."""
