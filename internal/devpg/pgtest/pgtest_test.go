package pgtest_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"pgws/internal/devpg/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestDatabaseIsFresh(t *testing.T) {
	t.Parallel()
	for range 5 {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			conn, err := pgx.Connect(t.Context(), pgtest.Database(t))
			if err != nil {
				t.Fatal(err)
			}
			defer conn.Close(context.Background())
			if _, err := conn.Exec(t.Context(), "CREATE TABLE seen ()"); err != nil {
				t.Fatal(err)
			}
		})
	}
}
