package bench_test

import (
	"testing"

	"pgws/internal/devpg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }
