"""The neutral network: frozen data types and what follows from them; standard library and numpy only."""
