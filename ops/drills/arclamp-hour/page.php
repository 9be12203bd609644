<?php
// A page that serves requests for some seconds, and publishes its stacks as Wikimedia's client does: two timers, a depth of
// at most 250, a flush after each sample, each over a connection of its own.
//
//   php NAME.php REDIS_PORT SECONDS    NAME says what it does: index, api, load or Run-Single-Job
namespace Wiki\Parser {
	class Parser {
		public function parse( string $text, int $depth = 0 ): string {
			$out = '';
			foreach ( preg_split( '/(?<=[.;])\s*/', $text ) as $token ) {
				$out .= $this->render( $token );
			}
			return $depth < 4 ? $this->template( $out, $depth ) : $out;
		}

		private function render( string $token ): string {
			return htmlspecialchars( strrev( ucwords( $token ) ) );
		}

		private function template( string $text, int $depth ): string {
			$inner = $this->parse( substr( $text, 0, 1500 ), $depth + 1 );
			return array_reduce( str_split( $inner, 64 ), static fn ( $sum, $part ) => md5( $sum . $part ), '' ) . $text;
		}
	}
}

namespace Wiki\Database {
	class Loader {
		public function query( int $rows ): array {
			$found = [];
			for ( $row = 0; $row < $rows; $row++ ) {
				$found[] = $this->decode( serialize( [ 'id' => $row, 'text' => md5( (string)$row ) ] ) );
			}
			usort( $found, static fn ( $a, $b ) => strcmp( $a['text'], $b['text'] ) );
			return $found;
		}

		private function decode( string $row ): array {
			return unserialize( $row );
		}
	}

	function wait( int $ms ): void {
		usleep( $ms * 1000 );
	}
}

namespace {
	class Handler_With_Long_Name {
		public function __invoke( callable $next, int $depth ) {
			return $depth > 0 ? $this( $next, $depth - 1 ) : $next();
		}
	}

	function text( int $number ): string {
		return str_repeat( "Sentence $number of a page; with words. ", 120 );
	}

	function profile( int $event, float $period, int $port, string $channel ): ExcimerProfiler {
		$profiler = new ExcimerProfiler;
		$profiler->setEventType( $event );
		$profiler->setPeriod( $period );
		$profiler->setMaxDepth( 250 );
		$publish = static function ( $log ) use ( $port, $channel ) {
			$first = realpath( $_SERVER['SCRIPT_FILENAME'] );
			$redis = new Redis();
			$redis->connect( '127.0.0.1', $port, 0.5 );
			foreach ( array_filter( explode( "\n", $log->formatCollapsed() ) ) as $line ) {
				$at = strrpos( $line, ' ' );
				$stack = strtr( substr( $line, 0, $at ), " \0", '__' );
				if ( strtok( $stack, ';' ) !== $first ) {
					$stack = "$first;$stack";
				}
				$redis->publish( $channel, $stack . substr( $line, $at ) );
			}
		};
		$profiler->setFlushCallback( $publish, 1 );
		$profiler->start();
		return $profiler;
	}

	function idle( float $seconds ): void {
		$until = hrtime( true ) + $seconds * 1e9;
		// A timer interrupts a sleep.
		while ( ( $left = ( $until - hrtime( true ) ) / 1e3 ) > 0 ) {
			usleep( (int)min( $left, 1e6 ) );
		}
	}

	$requests = [
		'index' => static function ( $number ) {
			$parse = static fn () => ( new Wiki\Parser\Parser )->parse( text( $number ) );
			( new Handler_With_Long_Name )( $parse, 12 + $number % 20 );
			( new Wiki\Database\Loader )->query( 300 );
			Wiki\Database\wait( 3 );
		},
		'api' => static function ( $number ) {
			$rows = ( new Wiki\Database\Loader )->query( 400 );
			$api = new class {
				public function format( array $rows ): string {
					return json_encode( array_map( fn ( $row ) => array_map( 'strval', $row ), $rows ) );
				}
			};
			$api->format( $rows );
			Wiki\Database\wait( 2 );
		},
		'load' => static function () {
			for ( $module = 0; $module < 20; $module++ ) {
				gzdeflate( preg_replace( '/\s+/', ' ', text( $module ) ), 6 );
			}
		},
		'Run-Single-Job' => static fn ( $number ) => ( new Wiki\Parser\Parser )->parse( text( $number ) ),
	];
	[ , $port, $seconds ] = $argv;
	$name = basename( __FILE__, '.php' );
	$request = $requests[$name];
	// Jobs are sampled as in production, pages more often.
	$periods = $name === 'Run-Single-Job' ? [ 60, 60 ] : [ 0.005, 0.1 ];
	$end = microtime( true ) + (float)$seconds;
	$profilers = [
		profile( EXCIMER_CPU, $periods[0], (int)$port, 'excimer' ),
		profile( EXCIMER_REAL, $periods[1], (int)$port, 'excimer-wall' ),
	];
	for ( $number = 0; microtime( true ) < $end; $number++ ) {
		$start = hrtime( true );
		$request( $number );
		// 2 % of a core.
		idle( ( hrtime( true ) - $start ) / 1e9 * 49 );
	}
	foreach ( $profilers as $profiler ) {
		$profiler->stop();
		$profiler->flush();
	}
}
