"""What tests and benchmarks share: small runs, blows to them, a Hub on 127.0.0.1, gradients of split batches."""
