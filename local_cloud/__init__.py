"""Google Cloud on one machine, for developers: tests and `make cloud` run on it. No part of the product."""
