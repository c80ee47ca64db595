"""What the scripts of bench/ share: jobs, settings, claims, tables, figures. Nothing here is run by itself."""
