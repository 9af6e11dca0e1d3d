package page_test

import (
	"testing"

	"pgws/internal/page/browsertest"
)

func TestMain(m *testing.M) { browsertest.Main(m) }
