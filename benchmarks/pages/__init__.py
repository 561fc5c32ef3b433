"""Generated PDF pages whose text layer is, or is not, what is seen on them."""
