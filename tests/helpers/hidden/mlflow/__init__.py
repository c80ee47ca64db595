"""Hides mlflow from the processes that tests start: DeepSpeed imports it at every start, for a second or two."""

raise ImportError("mlflow is hidden from the processes that tests start")
