"""Mail as encrypted PDFs: rendered, encrypted and sent. Sees neither accounts nor Maildirs nor the tunnel's keys."""
