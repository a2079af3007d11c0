"""What people look at: what is in a data set, one episode as a page, how fast it is read."""
