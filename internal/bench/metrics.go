package bench

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// batchesMetric counts the transactions by which pgws has sent messages.
const batchesMetric = "pgws_notify_batch_size_count"

// batches returns how many transactions the server has sent messages in; 0 when it has no figures to ask.
func (t *Target) batches(ctx context.Context) (float64, error) {
	if t.Metrics == "" {
		return 0, nil
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, t.Metrics, http.NoBody)
	if err != nil {
		return 0, fmt.Errorf("metrics: %w", err)
	}
	request.Close = true // A connection kept would outlive the measurement.
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return 0, fmt.Errorf("metrics: %w", err)
	}
	defer response.Body.Close()
	lines := bufio.NewScanner(response.Body)
	for lines.Scan() {
		if value, ok := strings.CutPrefix(lines.Text(), batchesMetric+" "); ok {
			return strconv.ParseFloat(value, 64)
		}
	}
	return 0, errors.Join(fmt.Errorf("metrics: no %s, status %s", batchesMetric, response.Status), lines.Err())
}
