"""The articles' studies of regularizers and activations: functions that return numbers; scripts draw them."""
