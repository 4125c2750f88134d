"""What we call: engines, the studio in its worker processes, artifact stores."""
