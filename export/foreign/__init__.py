"""Networks of others, made to take and to give what a bundle's do."""
