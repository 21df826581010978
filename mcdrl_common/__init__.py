"""What the plug-in and the lab both read and write: files, images, sites, records."""
