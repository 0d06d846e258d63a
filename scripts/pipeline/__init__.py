"""From the vendor's published documents to the generated clients; `make help` lists the commands."""
