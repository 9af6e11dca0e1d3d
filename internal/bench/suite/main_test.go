package suite

import (
	"flag"
	"testing"

	"pgws/internal/devpg/pgtest"
)

var update = flag.Bool("update", false, "write the golden files")

func TestMain(m *testing.M) { pgtest.Main(m) }
