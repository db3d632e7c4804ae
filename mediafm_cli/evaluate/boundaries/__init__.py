"""Found shot boundaries beside true ones: agreement, totals over titles, and how they are shown."""
