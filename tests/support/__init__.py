"""What tests share: real servers, real workers, and waiting for conditions."""
