package red

import "testing"

func TestRed(t *testing.T) { t.Error("fails without a fault") }
