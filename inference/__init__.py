"""Speaking: a trained model, its vocoders, and what composes them to a wave; the page to listen."""
