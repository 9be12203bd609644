<?php
// A busy page that publishes its stacks as Wikipedia's client does. Prints the number of lines that it published.

$port = (int)$argv[1];
$lines = 0;

$profiler = new ExcimerProfiler;
$profiler->setEventType( EXCIMER_CPU );
// Much more often than once a minute, which is what production takes.
$profiler->setPeriod( 0.005 );
$profiler->setMaxDepth( 250 );
$profiler->setFlushCallback(
	static function ( $log ) use ( $port, &$lines ) {
		$redis = new Redis();
		$redis->connect( '127.0.0.1', $port, 1.0 );
		foreach ( explode( "\n", $log->formatCollapsed() ) as $line ) {
			if ( $line !== '' ) {
				$redis->publish( 'excimer', strtr( $line, "\0", '_' ) );
				$lines++;
			}
		}
	},
	10
);

class Report {
	public static function fibonacci( int $n ): int {
		return $n < 2 ? $n : self::fibonacci( $n - 1 ) + self::fibonacci( $n - 2 );
	}
}

$profiler->start();
$end = microtime( true ) + 1.5;
do {
	Report::fibonacci( 20 );
} while ( microtime( true ) < $end );
$profiler->stop();
$profiler->flush();
echo $lines, "\n";
