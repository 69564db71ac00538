"""What stands in on an empty machine: Postgres, Valkey, a Honcho, the whole stack."""
